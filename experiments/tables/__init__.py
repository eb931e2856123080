"""What the tables of experiments/ share: arms and how they are made, paired comparisons of them, and how tables are saved."""
