"""The page of counterfactuals."""
