"""What all panels and tabs use, and the map's own panel."""
