"""What a network's own feature maps and attention weights say."""
