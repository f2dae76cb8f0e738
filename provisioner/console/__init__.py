"""What people see: view (records to screen model, pure) and terminal."""
