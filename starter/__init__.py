"""The starter model's recipe: eyes, tokenizer, language, figures."""
