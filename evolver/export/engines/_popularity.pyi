from evolver.tasks.popularity import filled as filled
