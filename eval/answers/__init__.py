"""Measures the answers: are they right, do their citations hold, and is 'I don't know' said when it should be?"""
