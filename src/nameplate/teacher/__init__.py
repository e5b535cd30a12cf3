"""The teacher: an OpenAI-compatible server that writes captions, asked through a journal and an attempt ladder."""
