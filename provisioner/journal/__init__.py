"""The run's truth: records (pure), writer (append and fsync), reader (replay, torn tail)."""
