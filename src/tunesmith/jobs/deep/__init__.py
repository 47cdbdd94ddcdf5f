"""Look deeper: what networks say about the data, backdoors, and cropped copies."""
