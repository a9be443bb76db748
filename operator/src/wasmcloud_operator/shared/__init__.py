"""What several of the domain folders use."""
