"""The command `segue`: one file a group of commands; `main` puts them together."""
