"""What pages of all services have in common: the frame, and words in three languages.

A service's own texts (`web/*.yaml`) and templates (`web/templates/`) lie in its folder and are found there by name.
"""
