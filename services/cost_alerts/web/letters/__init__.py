"""What letters say, in the language of who gets them: as mail, as a card, as a document for programs."""
