"""What `check` is made of: files, their YAML, the kinds in it, the rules, and the forms of output."""
