"""What leaves the engine: a counterfactual film's pictures, tables and the manifest that lets others make it again."""
