"""Train networks until their deadlines, race them, and average the best."""
