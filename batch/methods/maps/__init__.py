"""Methods that read a network's own feature maps and attention weights."""
