"""Raw values to the tensors that graphs take."""
