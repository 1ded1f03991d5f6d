"""What codes mean: diseases, vaccines, kinds of documents, value sets. Shipped, and loaded."""
