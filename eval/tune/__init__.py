"""`librarian tune …`: pairs, trainings and promotions. What trains is `rag.tuning`; what judges is the rest of eval."""
