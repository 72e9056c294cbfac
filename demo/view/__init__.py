"""What the page shows as HTML and charts: templates and the functions that fill them, theme, exports, reports.

Must not import tabs.
"""
