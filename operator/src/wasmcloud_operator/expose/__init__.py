"""Services in step with what really serves HTTP."""
