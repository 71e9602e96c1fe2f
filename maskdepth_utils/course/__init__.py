"""What the notebooks show and ask beside the system itself: checks, drawings, widgets, quizzes, studies."""
