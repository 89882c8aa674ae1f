"""What would be: other prices laid over the use that was, and plans priced by the use of their like."""
