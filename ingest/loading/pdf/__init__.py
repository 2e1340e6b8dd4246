"""PDF: text in reading order with its headings, tables as Markdown, and where each page starts."""
