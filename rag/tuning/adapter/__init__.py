"""An adapter (LoRA) that teaches a chat model to answer from numbered passages, to cite them and to abstain."""
