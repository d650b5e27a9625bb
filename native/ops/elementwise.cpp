namespace homerun {}
