"""What a network in hardware will need before it is synthesised, and the folding that makes the best of a board."""
