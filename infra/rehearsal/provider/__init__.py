"""A stand-in for the AWS plugin of Pulumi: one generic engine over botocore's shapes, one row a resource type."""
