"""AWS for mlops-chain: keys in KMS; payloads, spools and artifacts in S3.

Found by the entry point ``aws`` of group ``mlops_chain`` (`mlops_chain_aws.plugin`). Importing it
loads nothing of AWS.
"""
