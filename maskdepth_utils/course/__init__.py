"""What the notebooks show and ask besides the system itself: checks, widgets, quizzes, studies."""
