"""How predictable the cost is: each risk a formula, told in the service's README."""
