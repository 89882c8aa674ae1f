"""How the amount of one charge comes about, step by step, so that anybody can reckon it again by hand."""
