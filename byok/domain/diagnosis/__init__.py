"""What is wrong with two keys, from what their owner can see of them."""
