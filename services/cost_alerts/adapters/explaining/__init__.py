"""What the explanation of a charge is put together from."""
