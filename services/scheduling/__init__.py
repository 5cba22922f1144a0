"""Scheduling: admission, batching, and choosing a rung for each request.

A request becomes these objects, in order:

    Work         a queue entry, with the caller's payload (``batcher``)
    Job          a batch of works on its way through the stages (``job``)
    RaggedBatch  the arrays of a job, which stages take and return (``models.ragged``)
    Answer       a finished batch, and the index of the caller's request (``job``)

The modules, in the order of a request: ``runner`` -> ``work_queue`` -> ``executor`` -> stages -> ``runner``.
"""
