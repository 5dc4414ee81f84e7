"""Cidermill serves one LLM endpoint from a few Macs. This package knows clusters; it never imports pyinfra.

The words, as every name in the project uses them:

machine     a Mac we own
host        pyinfra's connection to a machine
link        one Thunderbolt cable between two machines
weights     the files on disk that mlx-lm loads
replica     the machines that together serve one copy of the weights; it starts, stops and changes as one
rank        a machine's place in its replica; rank 0 talks HTTP
transport   how ranks exchange activations: jaccl, jaccl-ring, ring, or none for one machine
agent       our daemon on every machine: keeps the rank process and tells the truth about it
conductor   the pure decision that moves a replica from state to state; runs in rank 0's agent
endpoint    the OpenAI-compatible door of one replica, in rank 0's agent
gateway     LiteLLM, in front of all endpoints
release     an immutable directory on a machine: locked environment, our wheel, configuration; named by its hash
"""
