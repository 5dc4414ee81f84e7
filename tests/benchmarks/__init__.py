"""What a run costs that changes nothing, beside pyinfra's own price and beside Ansible."""
