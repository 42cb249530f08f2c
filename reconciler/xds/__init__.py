"""The ADS server: what each proxy is to have, the streams it is sent on, and what it says about it. The only room that knows gRPC.

Knows Envoy's resources and the protocol; nothing of policies, of Git or of admin endpoints.
"""
