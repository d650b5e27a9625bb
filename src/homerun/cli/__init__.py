"""What a person types. Knows terminals; everything else is asked of the rooms below."""
