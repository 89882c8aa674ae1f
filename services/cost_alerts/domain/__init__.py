"""The rules of the ledger: values in, values out. Time is an argument; money is exact."""
