# Everything that leads to records and predictions; tables and figures can be made of those that are there without it.
if not FROM_RECORDS:

    include: "data.smk"
    include: "sequences.smk"
    include: "weights.smk"
    include: "pretraining.smk"
    include: "finetuning.smk"
    include: "features.smk"
