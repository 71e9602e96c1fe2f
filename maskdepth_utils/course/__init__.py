"""What the notebooks show and ask besides the system itself: checks, drawings, widgets, quizzes, studies."""
