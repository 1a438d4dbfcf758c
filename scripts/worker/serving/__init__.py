"""A server that speaks OpenAI's completions API, seen from the engine process beside it."""
