"""Load, decode, clean and split data sets from any supported source."""
