"""The page's parts: components and handlers, one file a tab or panel."""
