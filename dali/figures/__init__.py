"""Results to plotly figures. A figure is returned, never shown; axes carry units; nothing here knows Streamlit."""
