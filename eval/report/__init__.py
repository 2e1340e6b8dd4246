"""An evaluation as one HTML page that stands alone: tables, and plots in SVG, with nothing fetched and no script."""
