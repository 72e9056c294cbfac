"""The web page. It holds no mathematics: everything computed comes from `core`."""
