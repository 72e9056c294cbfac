"""The request column: three ways in, teaching a picture of one's own, selection and preview, and the card that says what a request did."""
