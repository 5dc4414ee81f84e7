"""The rank process: what loads its share of the weights and generates in step with the others."""
