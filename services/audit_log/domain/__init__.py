"""What the log and the review rules mean: values in, values out, no clock, no files, no database."""
